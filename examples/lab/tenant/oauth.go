package tenant

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// tokenStore remembers the access tokens it gave out until they expire.
type tokenStore struct {
	mu     sync.Mutex
	grants map[string]grant
	order  []string // by issue
	life   time.Duration
}

// grant is what an access token stands for.
type grant struct {
	person string // id of the user who signed in; "" is the application itself
	until  time.Time
}

func (s *tokenStore) setLife(life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = life
}

func newToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails, says crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (s *tokenStore) issue(person string, now time.Time) (token string, life time.Duration) {
	token = newToken()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && !s.grants[s.order[0]].until.After(now) {
		delete(s.grants, s.order[0])
		s.order = s.order[1:]
	}
	s.grants[token] = grant{person, now.Add(s.life)}
	s.order = append(s.order, token)
	return token, s.life
}

// find returns what a token stands for while it is valid.
func (s *tokenStore) find(token string, now time.Time) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[token]
	return g, ok && now.Before(g.until)
}

func (s *tokenStore) revokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants, s.order = map[string]grant{}, nil
}

// authority serves what an OAuth 2 client asks of login.microsoftonline.com.
func (f *front) authority(w http.ResponseWriter, r *http.Request) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	base := "https://" + r.Host
	switch {
	case r.URL.Path == "/common/discovery/instance":
		sendJSON(w, http.StatusOK, f.instance(base, r))
	case !f.knowsTenant(first) && strings.Contains(rest, "v2.0"):
		oauthError(w, http.StatusBadRequest, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found.", first))
	case rest == "v2.0/.well-known/openid-configuration":
		sendJSON(w, http.StatusOK, f.openID(base))
	case rest == "discovery/v2.0/keys":
		sendJSON(w, http.StatusOK, map[string]any{"keys": []any{}})
	case rest == "oauth2/v2.0/token" && r.Method == http.MethodPost:
		f.token(w, r)
	default:
		f.nothing(w, r)
	}
}

func (f *front) knowsTenant(name string) bool {
	return strings.EqualFold(name, f.tenantID) || slices.Contains(f.model.Domains(), strings.ToLower(name)) || name == "organizations" || name == "common"
}

func (f *front) openID(base string) map[string]any {
	at := base + "/" + f.tenantID
	return map[string]any{"issuer": at + "/v2.0", "authorization_endpoint": at + "/oauth2/v2.0/authorize", "token_endpoint": at + "/oauth2/v2.0/token",
		"jwks_uri": at + "/discovery/v2.0/keys", "token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"response_types_supported": []string{"token"}, "subject_types_supported": []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "grant_types_supported": []string{"client_credentials", "password"},
		"tenant_region_scope": "EU", "cloud_instance_name": "lab", "msgraph_host": strings.TrimPrefix(base, "https://")}
}

func (f *front) instance(base string, r *http.Request) map[string]any {
	host := r.Host
	return map[string]any{"api-version": "1.1", "tenant_discovery_endpoint": base + "/" + f.tenantID + "/v2.0/.well-known/openid-configuration",
		"metadata": []any{map[string]any{"preferred_network": host, "preferred_cache": host, "aliases": []string{host}}}}
}

// token answers the client credentials grant and a person's password, the client's secret in the body or as Basic.
// See https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and v2-oauth-ropc.
func (f *front) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", 900144, "The request body could not be read as a form.")
		return
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, pass, ok := r.BasicAuth(); ok {
		id, secret = formDecoded(user), formDecoded(pass) // RFC 6749 §2.3.1
	}
	personal := r.PostForm.Get("grant_type") == "password"
	switch {
	case r.PostForm.Get("grant_type") != "client_credentials" && !personal:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", r.PostForm.Get("grant_type")))
	case id == "":
		oauthError(w, http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'.")
	case id != f.clientID:
		oauthError(w, http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'.", id, f.tenantID))
	case subtle.ConstantTimeCompare([]byte(secret), []byte(f.secret)) != 1:
		oauthError(w, http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '"+id+"'.")
	case personal:
		f.signIn(w, r)
	case !defaultScope(r.PostForm.Get("scope")):
		oauthError(w, http.StatusBadRequest, "invalid_scope", 1002012, "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).")
	default:
		token, life := f.tokens.issue("", f.model.now())
		seconds := int(life / time.Second)
		sendJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})
	}
}

// defaultScope looks for a resource's /.default among the scopes; Microsoft's libraries add openid and others to it.
func defaultScope(scopes string) bool {
	return slices.ContainsFunc(strings.Fields(scopes), func(s string) bool { return strings.HasSuffix(s, "/.default") })
}

func formDecoded(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// oauthError answers in Entra's shape.
// See https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
func oauthError(w http.ResponseWriter, status int, kind string, code int, message string) {
	trace, correlation := uuid.NewString(), uuid.NewString()
	at := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	sendJSON(w, status, map[string]any{"error": kind, "error_codes": []int{code}, "timestamp": at, "trace_id": trace, "correlation_id": correlation,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code, message, trace, correlation, at)})
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no concern of ours
}
