// Package lego stands in for the ACME client that Traefik gets certificates with. A cluster of the
// tests reaches no certificate authority, and the client's DNS providers are most of what
// Traefik would be built from. This module declares what Traefik's source names of it, and
// there is never a client.
package lego

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/go-acme/lego/v5/challenge/http01"
	"github.com/go-acme/lego/v5/challenge/tlsalpn01"
	"github.com/go-acme/lego/v5/registration"
)

// DirectoryURLLetsEncrypt is the default certificate authority, which is none.
const DirectoryURLLetsEncrypt = ""

var errAbsent = errors.New("built without ACME")

// Config is what a client would be made from.
type Config struct {
	CADirURL    string
	UserAgent   string
	HTTPClient  *http.Client
	Certificate struct{ Timeout time.Duration }
}

// Client is never made.
type Client struct {
	Certificate interface {
		Obtain(context.Context, certificate.ObtainRequest) (*certificate.Resource, error)
		Renew(context.Context, certificate.Resource, *certificate.RenewOptions) (*certificate.Resource, error)
	}
	Challenge interface {
		SetDNS01Provider(challenge.Provider, ...dns01.Option) error
		SetHTTP01Provider(challenge.Provider, http01.Option) error
		SetTLSALPN01Provider(challenge.Provider, tlsalpn01.Option) error
	}
	Registration interface {
		Register(context.Context, registration.RegisterOptions) (*acme.ExtendedAccount, error)
		RegisterWithExternalAccountBinding(context.Context, registration.RegisterEABOptions) (*acme.ExtendedAccount, error)
	}
}

// NewConfig returns an empty configuration.
func NewConfig(any) *Config { return &Config{} }

// NewClient always fails.
func NewClient(*Config) (*Client, error) { return nil, errAbsent }

// CreateCertPool always fails.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, errAbsent }
