package tenant

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// signIn answers a person's password, after the client was recognized. Entra refuses it at /common, and so does the lab.
// See https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc.
func (f *front) signIn(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/common/") {
		oauthError(w, http.StatusBadRequest, "invalid_request", 9001023, "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.")
		return
	}
	for _, name := range []string{"scope", "username", "password"} {
		if r.PostForm.Get(name) == "" {
			oauthError(w, http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: '"+name+"'.")
			return
		}
	}
	password := secret.Take([]byte(r.PostForm.Get("password")))
	defer password.Wipe()
	f.settle()
	f.runGhosts(false)
	user, err := f.model.SignIn(r.PostForm.Get("username"), password)
	var refused *SignInError
	if errors.As(err, &refused) {
		oauthError(w, http.StatusBadRequest, "invalid_grant", refused.Code, refused.Message)
		return
	}
	token, life := f.tokens.issue(user.ID, f.model.now())
	seconds := int(life / time.Second)
	sendJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "scope": r.PostForm.Get("scope"), "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})
}
