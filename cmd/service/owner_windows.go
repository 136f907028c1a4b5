package service

import "errors"

// Give does nothing: Windows' services have accounts of their own, see Close.
func Give(string, string) error { return errors.ErrUnsupported }

// Keep closes a folder to others.
func Keep(dir string) error { return Close(dir, "") }
