package tenant

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// deltaToken is what a nextLink or deltaLink remembers; to a client it is opaque.
type deltaToken struct {
	Kind       Kind
	Select     []string `json:",omitempty"`
	IDs        []string `json:",omitempty"`
	Full       bool     `json:",omitempty"` // a first round: all objects, not changes
	Since      uint64   // changes after this number are news
	Upto       uint64   // and up to this one: fixed for the round, so that paging sees one state
	Position   int
	Member     int  `json:",omitempty"`
	Done       bool `json:",omitempty"` // a deltaLink's
	Generation string
	Issued     int64 // Unix seconds on the model's clock
}

func (t deltaToken) finished() deltaToken {
	t.Full, t.Since, t.Position, t.Member, t.Done = false, t.Upto, 0, 0, true
	return t
}

func (t *deltaToken) tracks(name string) bool {
	return len(t.Select) == 0 && name == "members" || slices.Contains(t.Select, name)
}

// properties lists the tracked properties without id and navigations.
func (t *deltaToken) properties() []string {
	var out []string
	for _, p := range schemas[t.Kind].list {
		tracked := p.Shown && len(t.Select) == 0 || slices.Contains(t.Select, p.Name)
		if tracked && p.Name != "id" {
			out = append(out, p.Name)
		}
	}
	for _, name := range t.Select {
		if isExtension(name) {
			out = append(out, name)
		}
	}
	return out
}

func (m *Model) seal(t deltaToken) string {
	t.Generation = m.generation
	if t.Issued == 0 || t.Done {
		t.Issued = m.now().Unix()
	}
	raw, err := json.Marshal(t)
	if err != nil {
		panic("tenant: a delta token that does not encode: " + err.Error()) // strings and numbers always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (m *Model) unseal(kind Kind, text string) (deltaToken, error) {
	var t deltaToken
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil || t.Kind != kind || t.Position < 0 || t.Member < 0 {
		return t, badRequest("Badly formed token.")
	}
	age := m.now().Sub(time.Unix(t.Issued, 0))
	if t.Generation != m.generation || age > m.opts.DeltaTokenLife || t.Upto > m.head() || t.Since > m.head() {
		return t, &Error{Status: http.StatusGone, Code: "syncStateNotFound",
			Message: "The delta token is expired or unknown. Start again with a full synchronization."}
	}
	return t, nil
}
