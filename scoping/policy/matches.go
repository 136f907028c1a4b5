package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// MatchLine is one line of a file of matches: what names the object of the directory, and the tenant's id of the object that belongs to it.
// Of DN, GUID and Anchor one is set.
type MatchLine struct {
	Object string // as written
	DN     scoping.DN
	GUID   scoping.GUID
	Anchor string // base64
	Tenant string // lower case
	Pos    scoping.Pos
}

// The columns of a file of matches; its first line may name them.
var matchColumns = [2]string{"object", "tenantObject"}

const matchHint = `a line is "object,tenantObject": a distinguished name in double quotes, an objectGUID or a source anchor in base64, then the tenant's object id; lines that begin with # are comments`

// ParseMatches reads a file of matches: comma-separated values (RFC 4180) of two columns. file is its name for messages. The error is of type
// [scoping.Mistakes] and names every line that is wrong; which objects the directory has is for the host to find out.
func ParseMatches(file string, data []byte) ([]MatchLine, error) {
	m := matchReader{file: file, object: map[string]int{}, tenant: map[string]int{}}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace = -1, '#', true
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return m.lines, m.mistakes.Err()
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			m.mistakes.Add(scoping.Pos{File: file, Line: bad.Line, Column: max(bad.Column, 1)}, "this is no line of comma-separated values: "+bad.Err.Error(), matchHint)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if first && len(fields) == 2 && strings.EqualFold(fields[0], matchColumns[0]) && strings.EqualFold(fields[1], matchColumns[1]) {
			continue
		}
		line, column := r.FieldPos(0)
		m.line(scoping.Pos{File: file, Line: line, Column: column}, fields)
	}
}

// matchReader gathers lines and what is wrong with them.
type matchReader struct {
	file           string
	lines          []MatchLine
	object, tenant map[string]int // where it stood first
	mistakes       scoping.Mistakes
}

func (m *matchReader) line(pos scoping.Pos, fields []string) {
	if len(fields) != 2 {
		hint := matchHint
		if len(fields) == 1 && strings.Contains(fields[0], ";") {
			hint = "separate the two columns by a comma, not by a semicolon"
		}
		m.mistakes.Add(pos, fmt.Sprintf("it has %d columns instead of two", len(fields)), hint)
		return
	}
	l := MatchLine{Object: strings.TrimSpace(fields[0]), Pos: pos}
	key, ok := l.identify()
	if !ok {
		m.mistakes.Add(pos, fmt.Sprintf("%q is neither a distinguished name, nor an objectGUID, nor a source anchor", l.Object), matchHint)
		return
	}
	id, err := scoping.ParseGUID(strings.TrimSpace(fields[1]))
	if err != nil {
		m.mistakes.Add(pos, fmt.Sprintf("%q is not the id of a tenant object", fields[1]), "the tenant shows it as the object's id, such as 2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a10")
		return
	}
	l.Tenant = id.String()
	if m.twice(m.object, key, pos, l.Object) || m.twice(m.tenant, l.Tenant, pos, "tenant object "+l.Tenant) {
		return
	}
	m.lines = append(m.lines, l)
}

// identify finds out in which way the object is named, and gives a key that is the same for the same name.
func (l *MatchLine) identify() (key string, ok bool) {
	if g, err := scoping.ParseGUID(l.Object); err == nil {
		l.GUID = g
		return "guid " + g.String(), true
	}
	if raw, err := base64.StdEncoding.DecodeString(l.Object); err == nil && len(raw) == 16 {
		l.Anchor = l.Object
		return "anchor " + l.Object, true
	}
	if dn, err := scoping.ParseDN(l.Object); err == nil && !dn.IsZero() {
		l.DN = dn
		return "dn " + dn.Key(), true
	}
	return "", false
}

func (m *matchReader) twice(seen map[string]int, key string, pos scoping.Pos, what string) bool {
	if line, ok := seen[key]; ok {
		m.mistakes.Add(pos, fmt.Sprintf("%s stands in line %d already", what, line), "one object belongs to one object: remove one of the lines")
		return true
	}
	seen[key] = pos.Line
	return false
}

// MatchesFile gives the name of the file of matches that a policy's text names, and where it does; "" if it names none, or cannot be read at all.
func MatchesFile(file string, text []byte) (name string, pos scoping.Pos) {
	var doc yaml.Node
	if blank(text) || yaml.Load(text, &doc) != nil || doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return "", pos
	}
	root := follow(doc.Content[0])
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if v := follow(root.Content[i+1]); root.Content[i].Value == "matches" && v.Kind == yaml.ScalarNode {
			return v.Value, scoping.Pos{File: file, Line: v.Line, Column: v.Column}
		}
	}
	return "", pos
}
