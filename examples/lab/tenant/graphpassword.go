package tenant

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// passwordMethod is the id that Graph gives to everybody's password as an authentication method.
// See https://learn.microsoft.com/graph/api/resources/passwordauthenticationmethod.
const passwordMethod = "28c10230-6103-485e-b985-444c60001490"

// personRoutes are what Graph does for people only, by what their directory roles allow.
var personRoutes = []route{
	get("me", 1, me).by(anybody),
	writes(http.MethodPost, "users/{}/authentication/methods/{}/resetPassword", resetPassword).by(people),
	get("users/{}/authentication/operations/{}", 1, resetOperation).by(people),
}

func me(f *front, c *call) (reply, error) {
	if c.person == "" {
		return reply{}, plainBadRequest("/me request is only valid with delegated authentication flow.")
	}
	return read(f, c, User, "users", func() (Object, error) { return f.model.Get(User, c.person) })
}

// authenticationRoles may reset the passwords of people without directory roles; the first two, of everybody.
// See https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions (who can reset passwords).
var authenticationRoles = []string{GlobalAdministrator, privilegedAuthenticationAdministrator, authenticationAdministrator}

// mayReset refuses callers whose roles do not let them reset a user's password, and everybody for their own.
func (f *front) mayReset(c *call, o Object) error {
	held, err := f.rolesOf(c.person)
	if err != nil {
		return err
	}
	protected, err := f.rolesOf(o.ID)
	if err != nil {
		return err
	}
	enough := authenticationRoles
	if len(protected) > 0 {
		enough = authenticationRoles[:2]
	}
	if !slices.ContainsFunc(held, func(r Role) bool { return slices.Contains(enough, r.TemplateID) }) {
		return denied("Insufficient privileges to complete the operation.")
	}
	if o.ID == c.person {
		return denied("This operation cannot be performed on the signed-in user's own account.")
	}
	return nil
}

func (f *front) rolesOf(user string) ([]Role, error) {
	_, roles, err := f.model.Related(User, user, TransitiveMemberOf)
	return roles, err
}

// resetPassword sets a password for another person: at once for a user of the tenant's own, over the relay for a directory's.
// The person has to change it at the next sign-in.
// See https://learn.microsoft.com/graph/api/authenticationmethod-resetpassword.
func resetPassword(f *front, c *call) (reply, error) {
	o, err := f.model.Get(User, c.args[0])
	if err != nil {
		return reply{}, err
	}
	if err := f.mayReset(c, o); err != nil {
		return reply{}, err
	}
	if !strings.EqualFold(c.args[1], passwordMethod) {
		return reply{}, notFound(c.args[1])
	}
	var in struct {
		NewPassword secret.Text `json:"newPassword"`
	}
	if len(c.body) > 0 {
		if err := readSecrets(c.body, &in); err != nil {
			return reply{}, err
		}
	}
	if fed(o) {
		return f.resetInDirectory(c, o, in.NewPassword.Value)
	}
	return f.resetInTenant(c, o, in.NewPassword.Value)
}

func (f *front) resetInDirectory(c *call, o Object, password *secret.Value) (reply, error) {
	if !sendable(password) {
		password.Wipe()
		return reply{}, badRequest("A new password is required for users whose passwords are written back to a directory.")
	}
	e, _ := f.writeBack(o.ID, opReset, nil, password, true)
	return f.accepted(c, o, f.relay.operate(o.ID, e, f.model.now()), nil)
}

func (f *front) resetInTenant(c *call, o Object, password *secret.Value) (reply, error) {
	var made *secret.Value
	if password == nil {
		made = secret.Take([]byte("aA1!" + rand.Text()))
		password = made
	}
	defer password.Wipe()
	if err := f.model.setPassword(o.ID, password, true); err != nil {
		return reply{}, err
	}
	return f.accepted(c, o, f.relay.operate(o.ID, nil, f.model.now()), made)
}

// accepted answers 202 with the address of the operation, and with a password that the tenant made.
func (f *front) accepted(c *call, o Object, op *operation, made *secret.Value) (reply, error) {
	var body secret.Buffer
	defer body.Wipe()
	body.WriteString(`{"@odata.context":"` + c.base + `/$metadata#microsoft.graph.passwordResetResponse"`)
	if made != nil {
		body.WriteString(`,"newPassword":`)
		if err := body.WriteSecret(made); err != nil {
			return reply{}, err
		}
	}
	body.WriteString("}")
	return reply{status: http.StatusAccepted, raw: slices.Clone(body.Bytes()), header: map[string]string{"Location": c.base + "/users/" + o.ID + "/authentication/operations/" + op.id}}, nil
}

// resetOperation returns the state of a reset.
// See https://learn.microsoft.com/graph/api/longrunningoperation-get.
func resetOperation(f *front, c *call) (reply, error) {
	o, err := f.model.Get(User, c.args[0])
	if err != nil {
		return reply{}, err
	}
	if err := f.mayReset(c, o); err != nil {
		return reply{}, err
	}
	s, found := f.relay.status(o.ID, c.args[1], f.model.now())
	if !found {
		return reply{}, notFound(c.args[1])
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#users('" + o.ID + "')/authentication/operations/$entity",
		"id": c.args[1], "status": s.status, "statusDetail": s.detail, "createdDateTime": stampTime(s.created), "lastActionDateTime": stampTime(s.acted),
		"resourceLocation": c.base + "/users/" + o.ID}}, nil
}
