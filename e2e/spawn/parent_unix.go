//go:build unix && !linux

package spawn

import "syscall"

// Only Linux has parent-death signals.
func dieWithParent(*syscall.SysProcAttr) {}
