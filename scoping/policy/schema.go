package policy

import (
	"bytes"
	"encoding/json"

	"github.com/tandem-sync/tandem/scoping"
)

// schemaName is how the published schema calls itself.
const schemaName = "https://github.com/tandem-sync/tandem/raw/main/examples/contoso/policy.schema.json"

// Schema gives the JSON Schema (draft 2020-12) of policy files, for editors. It is made of the same table of keys by which
// [Parse] reads; what only a directory or the engines can tell is not in it.
func Schema() []byte {
	s := (&reader{}).policy(new(scoping.Policy)).schema
	s.Schema, s.ID, s.Title = "https://json-schema.org/draft/2020-12/schema", schemaName, "Tandem policy"
	s.Description = "Which engine owns which features of which objects. `tandem policy validate FILE` checks it against the directory."
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&s); err != nil {
		panic("policy: the schema cannot be encoded: " + err.Error())
	}
	return b.Bytes()
}

// schema is as much of JSON Schema as policies need, in the order in which people read it.
type schema struct {
	Schema               string     `json:"$schema,omitempty"`
	ID                   string     `json:"$id,omitempty"`
	Title                string     `json:"title,omitempty"`
	Description          string     `json:"description,omitempty"`
	Type                 string     `json:"type,omitempty"`
	Const                any        `json:"const,omitempty"`
	Enum                 []string   `json:"enum,omitempty"`
	Pattern              string     `json:"pattern,omitempty"`
	MinLength            int        `json:"minLength,omitempty"`
	Minimum              *int       `json:"minimum,omitempty"`
	Maximum              *int       `json:"maximum,omitempty"`
	Default              any        `json:"default,omitempty"`
	Examples             []any      `json:"examples,omitempty"`
	MinItems             int        `json:"minItems,omitempty"`
	UniqueItems          bool       `json:"uniqueItems,omitempty"`
	Items                *schema    `json:"items,omitempty"`
	Contains             *schema    `json:"contains,omitempty"`
	Properties           properties `json:"properties,omitempty"`
	Required             []string   `json:"required,omitempty"`
	AdditionalProperties *bool      `json:"additionalProperties,omitempty"`
	If                   *schema    `json:"if,omitempty"`
	Then                 *schema    `json:"then,omitempty"`
	AllOf                []*schema  `json:"allOf,omitempty"`
	AnyOf                []*schema  `json:"anyOf,omitempty"`

	flow bool // formatted in one line
	dn   bool // a distinguished name
}

// property is one key and what may stand behind it.
type property struct {
	key string
	of  *schema
}

// properties are in the order in which a formatted file has them.
type properties []property

// MarshalJSON implements json.Marshaler: an object in this order.
func (ps properties) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i, p := range ps {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(p.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(p.of); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
