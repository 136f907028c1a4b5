package page_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/cmd/tandem/page"
)

// hostile are names that a directory's administrator could give.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><script>alert(2)</script>`, `{{.Secret}}`, `javascript:alert(3)`, `</style><script>alert(4)</script>`, `&lt;b&gt;`}

func full(name string) page.Page {
	f := page.Finding{Mark: *page.MarkOf("blocker"), Code: name, Message: name, Count: name, Examples: []string{name}, Fix: name}
	return page.Page{Title: name, Mark: &page.Mark{Text: name}, Lead: []string{name}, Facts: []page.Fact{{Name: name, Value: name}}, Version: name, Source: name, Made: time.Unix(0, 0),
		Sections: []page.Section{{Title: name, Mark: &page.Mark{Text: name}, Lead: []string{name}, Facts: []page.Fact{{Name: name, Value: name}}, Findings: []page.Finding{f},
			Tables: []page.Table{{Caption: name, Columns: page.Columns(name, "#"+name), Rows: [][]page.Cell{{{Text: name, Section: 1}, page.Marked(name)}}}}}}}
}

func written(t *testing.T, p page.Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tag = regexp.MustCompile(`<[^>]*>`)

func TestWhateverObjectsAreCalledIsText(t *testing.T) {
	plain := tag.FindAllString(written(t, full("plain")), -1)
	for _, name := range hostile {
		got := written(t, full(name))
		if tags := tag.FindAllString(got, -1); strings.Join(tags, "") != strings.Join(plain, "") {
			t.Errorf("%s adds elements or attributes to the page", name)
		}
	}
}

func TestAPageLoadsNothingAndRunsNothing(t *testing.T) {
	got := written(t, full("x"))
	for _, bad := range []string{"<script", "<link", "<img", "src=", "@import", "url(", "http://", "https://", " on"} {
		for _, found := range tag.FindAllString(got, -1) {
			if strings.Contains(found, bad) {
				t.Errorf("%s has %q", found, bad)
			}
		}
	}
	if !strings.Contains(got, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("the page does not forbid what it does not need")
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(got)[1]
	for _, want := range []string{"@media print", "prefers-color-scheme: dark"} {
		if !strings.Contains(style, want) {
			t.Errorf("the style has no %s", want)
		}
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style loads something")
	}
}

func TestAPageIsWellFormed(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(written(t, full(hostile[0])), "<!DOCTYPE html>")))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestABrowserShowsAPage lets Chromium render one, where it is installed.
func TestABrowserShowsAPage(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Log("not checked: there is no Chromium here (chromium, chromium-browser, google-chrome)")
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(written(t, full(hostile[0]+hostile[1]))), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + filepath.Join(dir, "profile")}
	dom, err := exec.CommandContext(t.Context(), browser, append(args, "--dump-dom", "file://"+file)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	for _, bad := range []string{"<script", "<img"} {
		if bytes.Contains(dom, []byte(bad)) {
			t.Errorf("the browser made an element %s of a name", bad)
		}
	}
	pdf := filepath.Join(dir, "page.pdf")
	if out, err := exec.CommandContext(t.Context(), browser, append(args, "--print-to-pdf="+pdf, "file://"+file)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", browser, err, out)
	}
	if b, err := os.ReadFile(pdf); err != nil || !bytes.HasPrefix(b, []byte("%PDF")) {
		t.Errorf("the page does not print: %v", err)
	}
}
