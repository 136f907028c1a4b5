package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	d := engine.Directory{Name: "n", Password: "hunter2"}
	v := engine.Value{Text: []string{"hunter2"}, Secret: true}
	all := fmt.Sprintf("%v %+v %#v %v %+v %#v %v", d, d, d, v, v, v, engine.Config{Directories: []engine.Directory{d}})
	if strings.Contains(all, "hunter2") {
		t.Error(all)
	}
}
