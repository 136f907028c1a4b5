package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// FileSum gives the SHA-256 of a file in hexadecimal, as engines[].sha256 holds it.
func FileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("checksum of %s: %w", path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("checksum of %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkSum refuses a file with another sum. Who may replace the file between this check and its start may do anything:
// the folder of an engine must belong to the administrator.
func checkSum(path, expected string) error {
	found, err := FileSum(path)
	if err != nil {
		return err
	}
	if !strings.EqualFold(found, strings.TrimSpace(expected)) {
		return &engine.ChecksumError{Path: path, Expected: expected, Found: found}
	}
	return nil
}
