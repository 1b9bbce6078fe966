package report

import "testing"

func TestMountOf(t *testing.T) {
	t.Parallel()
	const mounts = `/dev/root / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/b /tmp/fast xfs rw 0 0
/dev/c /tmp/fast btrfs rw 0 0
odd
`
	for folder, want := range map[string]string{
		"/home/a": "ext4", "/": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmp/fast/x": "btrfs", "/tmp/faster": "tmpfs", "/tmpfoo": "ext4",
	} {
		if got := mountOf(mounts, folder); got != want {
			t.Errorf("%s lies on %q, want %q", folder, got, want)
		}
	}
}
