//go:build unix

package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Give makes a folder, if it is missing, and lets a user and the group of that user own it and everything in it. Links change their owner, and are not followed.
func Give(dir, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("give %s to %s: %w", dir, name, err)
	}
	uid, errU := strconv.Atoi(u.Uid)
	gid, errG := strconv.Atoi(u.Gid)
	if err := errors.Join(errU, errG, os.MkdirAll(dir, 0o700)); err != nil {
		return fmt.Errorf("give %s to %s: %w", dir, name, err)
	}
	return give(dir, uid, gid)
}

// Keep lets the owner of a folder own everything in it, after root wrote there: a service that runs as that user reads it.
func Keep(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || s.Uid == 0 {
		return nil
	}
	return give(dir, int(s.Uid), int(s.Gid))
}

func give(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
