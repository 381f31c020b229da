// Package dns has no DNS providers.
package dns

import (
	"errors"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName always fails.
func NewDNSChallengeProviderByName(string) (challenge.Provider, error) {
	return nil, errors.New("built without ACME")
}
