//go:build linux

package samba

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// fromCache copies a freshly provisioned domain to the folder to, and makes the original first if there is none.
func fromCache(ctx context.Context, o Options, to string) error {
	original, err := cachedDomain(ctx, o)
	if err != nil {
		return err
	}
	// -a keeps the extended attributes in which Samba holds access lists.
	cmd := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", original, to)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("copying the domain from %s: %w: %s", original, err, lastLines(string(out), 3)), ctx.Err())
	}
	return nil
}

// cachedDomain gives the folder of the original.
func cachedDomain(ctx context.Context, o Options) (string, error) {
	cache, err := cacheFolder(o)
	if err != nil {
		return "", err
	}
	key, err := cacheKey(ctx, o)
	if err != nil {
		return "", err
	}
	original := filepath.Join(cache, key)
	if present, err := exists(original); present || err != nil {
		return filepath.Join(original, "domain"), err
	}
	if err := makeOriginal(ctx, o, cache, original); err != nil {
		return "", err
	}
	return filepath.Join(original, "domain"), nil
}

func cacheFolder(o Options) (string, error) {
	folder := o.Cache
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			user = os.TempDir() // no home, as in some containers
		}
		folder = filepath.Join(user, "tandem", "samba")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("making the cache for provisioned domains: %w", err)
	}
	return folder, nil
}

// makeOriginal provisions beside its place and moves the finished domain there. Whoever comes second uses the first's.
func makeOriginal(ctx context.Context, o Options, cache, original string) error {
	scratch, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return fmt.Errorf("making a folder in the cache: %w", err)
	}
	err = makeDomain(ctx, o, scratch)
	if err == nil {
		err = os.Rename(scratch, original)
	}
	if err == nil {
		return nil
	}
	cleanup := os.RemoveAll(scratch)
	if present, statErr := exists(original); present && statErr == nil {
		return cleanup
	}
	return errors.Join(err, cleanup)
}

// cacheKey changes with everything that the original depends on, so that an outdated one is never used.
func cacheKey(ctx context.Context, o Options) (string, error) {
	version, err := exec.CommandContext(ctx, "samba", "--version").Output()
	if err != nil {
		return "", errors.Join(fmt.Errorf("asking for Samba's version: %w", err), ctx.Err())
	}
	h := sha256.New()
	for _, part := range slices.Concat(provisionArgs(o), settings, []string{string(version), prepareScript, readOnlyName}) {
		h.Write([]byte(part + "\x00"))
	}
	return strings.ToLower(o.Domain) + "-" + hex.EncodeToString(h.Sum(nil)[:8]), nil
}
