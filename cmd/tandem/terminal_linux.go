package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hideInput lets a terminal show nothing of what is typed, and hand it over byte by byte, until the function that it returns is called.
func hideInput(f *os.File) (back func(), err error) {
	was, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	hidden := *was
	hidden.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG // Ctrl-C is read, so that the terminal is put back before the program ends
	hidden.Cc[unix.VMIN], hidden.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, was) }, nil // a failure cannot be fixed here
}

// terminal says whether a file is one.
func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// columns returns how many columns the terminal has that standard output is; 0: it is none.
func columns() int { return int(terminalSize().Col) }

// lines returns how many lines the terminal has that standard output is; 0: it is none.
func lines() int { return int(terminalSize().Row) }

func terminalSize() unix.Winsize {
	if z, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		return *z
	}
	return unix.Winsize{}
}
