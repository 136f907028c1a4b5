package tenant

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// extensionLimit is the longest text of a directory extension.
// See https://learn.microsoft.com/graph/extensibility-overview.
const extensionLimit = 256

// isExtension tells whether a property is named like a directory extension.
func isExtension(name string) bool { return strings.HasPrefix(name, "extension_") }

// RegisterExtension gives users a text property of their own, as an application registers it, and returns its name.
// See https://learn.microsoft.com/graph/api/application-post-extensionproperty.
func (m *Model) RegisterExtension(appID, name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	full := "extension_" + strings.ReplaceAll(appID, "-", "") + "_" + name
	if !slices.Contains(m.extensions, full) {
		m.extensions = append(m.extensions, full)
	}
	return full
}

// Extensions lists the registered extensions of users.
func (m *Model) Extensions() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.extensions)
}

// takeExtensions reads the extensions in a user's body, nil clears, and returns what else is in it.
func (m *Model) takeExtensions(body map[string]any) (extensions, rest map[string]any, err error) {
	extensions, rest = map[string]any{}, map[string]any{}
	for name, v := range body {
		if !isExtension(name) {
			rest[name] = v
			continue
		}
		text, isText := v.(string)
		switch {
		case !slices.Contains(m.extensions, name):
			return nil, nil, badRequest("The following extension properties are not available: %s.", name)
		case v == nil:
			extensions[name] = nil
		case !isText || text == "" || utf8.RuneCountInString(text) > extensionLimit:
			return nil, nil, invalidValue(User, name)
		default:
			extensions[name] = text
		}
	}
	return extensions, rest, nil
}

// availableExtensions lists the registered extensions.
// See https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties.
func availableExtensions(f *front, c *call) (reply, error) {
	rows := []any{}
	for _, name := range f.model.Extensions() {
		rows = append(rows, map[string]any{"@odata.type": "#microsoft.graph.extensionProperty", "name": name, "dataType": "String", "isMultiValued": false,
			"isSyncedFromOnPremises": false, "targetObjects": []any{"User"}})
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#Collection(extensionProperty)", "value": rows}}, nil
}
