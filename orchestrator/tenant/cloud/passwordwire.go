package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// WriteCredentials writes the document in which credentials are sent. An error names the user whose credential cannot be sent; the buffer then has a
// part of the document.
func WriteCredentials(to *secret.Buffer, items []CredentialItem) error {
	to.WriteString(`{"credentials":[`)
	for i, x := range items {
		if i > 0 {
			to.WriteString(",")
		}
		to.WriteString(`{"credential":`)
		if err := to.WriteSecret(x.Credential); err != nil {
			return fmt.Errorf("credential of user %s: %w", x.CloudID, err)
		}
		plain, err := json.Marshal(struct {
			User       string    `json:"user"`
			ChangedAt  time.Time `json:"changedAt"`
			By         string    `json:"by"`
			MustChange bool      `json:"mustChange"`
			Log        string    `json:"log"`
			Number     int64     `json:"number"`
		}{x.CloudID, x.ChangedAt.UTC(), x.By, x.MustChange, x.Log, x.Number})
		if err != nil {
			return fmt.Errorf("credential of user %s: %w", x.CloudID, err)
		}
		to.WriteString(",")
		to.WriteString(string(plain[1:])) // it ends the item
	}
	to.WriteString("]}")
	return nil
}

// errNotEvents quotes nothing of the document, which has secrets.
var errNotEvents = errors.New("it is no list of password changes")

// ParsePasswordEvents parses the document in which the tenant hands out password changes. The events do not share memory with body, which the caller
// clears; errors quote nothing of it.
func ParsePasswordEvents(body []byte) ([]PasswordEvent, error) {
	var doc struct {
		Events *[]struct {
			ID           string      `json:"id"`
			Tenant       string      `json:"tenant"`
			Installation string      `json:"installation"`
			User         string      `json:"user"`
			Op           PasswordOp  `json:"op"`
			OldPassword  secret.Text `json:"oldPassword"`
			NewPassword  secret.Text `json:"newPassword"`
			MustChange   bool        `json:"mustChange"`
			Deadline     time.Time   `json:"deadline"`
		} `json:"events"`
	}
	err := json.Unmarshal(body, &doc)
	var out []PasswordEvent
	if doc.Events != nil {
		for _, x := range *doc.Events {
			out = append(out, PasswordEvent{ID: x.ID, Tenant: x.Tenant, Installation: x.Installation, CloudID: x.User, Op: x.Op, OldPassword: x.OldPassword.Value,
				NewPassword: x.NewPassword.Value, MustChange: x.MustChange, Deadline: x.Deadline})
		}
	}
	if err == nil && doc.Events != nil {
		return out, nil
	}
	for _, e := range out {
		e.Wipe()
	}
	return nil, errNotEvents
}
