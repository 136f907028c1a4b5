package tenant

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// AddAdministrator makes a person of the tenant's own who may reset the passwords of people without directory roles, for what
// Graph does for people only. The password stays the caller's.
func (m *Model) AddAdministrator(userPrincipalName, displayName string, password *secret.Value) (Object, error) {
	nickname, _, _ := strings.Cut(userPrincipalName, "@")
	var o Object
	err := password.Use(func(b []byte) error {
		var err error
		o, err = m.CreateUser(map[string]any{"accountEnabled": true, "displayName": displayName, "mailNickname": nickname, "userPrincipalName": userPrincipalName,
			"passwordProfile": map[string]any{"password": string(b), "forceChangePasswordNextSignIn": false}})
		return err
	})
	if err != nil {
		return Object{}, fmt.Errorf("making the administrator %s: %w", userPrincipalName, err)
	}
	if _, err := m.AssignRole(o.ID, authenticationAdministrator, false); err != nil {
		return Object{}, fmt.Errorf("giving %s a role: %w", userPrincipalName, err)
	}
	return o, nil
}
