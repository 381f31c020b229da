// Package http01 names challenges over HTTP.
package http01

import "time"

// PathPrefix is where they are asked, as RFC 8555 has it.
const PathPrefix = "/.well-known/acme-challenge/"

// Option changes nothing.
type Option struct{}

// SetDelay returns an option without effect.
func SetDelay(time.Duration) Option { return Option{} }
