// Package ext extends Traefik's dynamic configuration by nothing. The published module of Traefik
// lacks it, because Traefik's repository keeps it in a module of its own.
package ext

// HTTP are further fields of the HTTP configuration.
type HTTP struct{}

// Router are further fields of a router.
type Router struct{}
