// Package challenge names what answers challenges.
package challenge

// Provider answers them.
type Provider any
