package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// credentialsLimit is the most items of one request.
const credentialsLimit = 50

// readSecrets reads a JSON body that may hold secrets: the error quotes nothing of it.
func readSecrets(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil || d.More() {
		return plainBadRequest("The body is not the JSON document that is due here.")
	}
	return nil
}

// putCredentials stores up to credentialsLimit credentials, each with a result of its own, in the order of the items.
func putCredentials(f *front, c *call) (reply, error) {
	var in struct {
		Credentials []struct {
			User       string      `json:"user"`
			Credential secret.Text `json:"credential"`
			ChangedAt  time.Time   `json:"changedAt"`
			By         string      `json:"by"`
			MustChange bool        `json:"mustChange"`
			Log        string      `json:"log"`
			Number     int64       `json:"number"`
		} `json:"credentials"`
	}
	err := readSecrets(c.body, &in)
	if n := len(in.Credentials); err == nil && (n == 0 || n > credentialsLimit) {
		err = plainBadRequest("A request holds 1 to 50 credentials.")
	}
	if err != nil {
		for _, x := range in.Credentials {
			x.Credential.Wipe()
		}
		return reply{}, err
	}
	results := make([]map[string]any, 0, len(in.Credentials))
	for _, x := range in.Credentials {
		err := f.model.PutCredential(Credential{User: x.User, Value: x.Credential.Value, ChangedAt: x.ChangedAt, By: x.By, MustChange: x.MustChange, Log: x.Log, Number: x.Number})
		result := map[string]any{"user": x.User, "status": http.StatusOK, "code": "ok", "message": ""}
		var e *Error
		if errors.As(err, &e) {
			result["status"], result["code"], result["message"] = e.Status, e.Code, e.Message
		}
		results = append(results, result)
	}
	return reply{status: http.StatusOK, body: map[string]any{"results": results}}, nil
}

func readCredential(f *front, c *call) (reply, error) {
	state, err := f.model.Credential(c.args[0])
	return reply{status: http.StatusOK, body: state}, err
}
