// Package dns01 names challenges over DNS.
package dns01

import (
	"strings"
	"time"
)

// Option changes nothing.
type Option struct{}

// Options would be those of a Client.
type Options struct{ RecursiveNameservers []string }

// Client would look names up.
type Client struct{}

// NewClient returns a Client that does nothing.
func NewClient(*Options) *Client { return nil }

// SetDefaultClient does nothing.
func SetDefaultClient(*Client) {}

// CondOptions returns an option without effect.
func CondOptions(bool, ...Option) Option { return Option{} }

// DisableAuthoritativeNssPropagationRequirement returns an option without effect.
func DisableAuthoritativeNssPropagationRequirement() Option { return Option{} }

// DisableRecursiveNSsPropagationRequirement returns an option without effect.
func DisableRecursiveNSsPropagationRequirement() Option { return Option{} }

// PropagationWait returns an option without effect.
func PropagationWait(time.Duration, bool) Option { return Option{} }

// UnFqdn returns a name without its last dot; Traefik asks for it beyond ACME.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }
