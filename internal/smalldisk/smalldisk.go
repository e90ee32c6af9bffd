// Package smalldisk gives tests a file system of some MiB, which they fill to its end and empty again.
//
// Its promise: what a program meets on it is what a disk that is full gives, and nobody else's disk is filled. Its failure
// model: where no file system can be mounted (that takes root, on Linux) the test is skipped, saying so.
package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small file system.
type Disk struct {
	Dir string // where it is mounted
}

// Mount makes one under a directory, "" for the system's for temporary files, that others may enter. It goes when the test
// ends.
func Mount(t testing.TB, parent string, sizeMiB int) *Disk {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "answerable-small-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=755", sizeMiB), "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { // a server may have files open there still
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return &Disk{dir}
}

func (d *Disk) room() string { return filepath.Join(d.Dir, "room") }

// Fill takes the room that is left, all of it.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.room(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// Free gives back the room that Fill took.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.room()); err != nil {
		t.Fatal(err)
	}
}
