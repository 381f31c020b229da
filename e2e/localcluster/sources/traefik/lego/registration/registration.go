// Package registration names what would be registered.
package registration

// RegisterOptions register an account.
type RegisterOptions struct{ TermsOfServiceAgreed bool }

// RegisterEABOptions register an account that the authority knows from elsewhere.
type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid                  string
	HmacEncoded          string
}
