package backup

import "sync/atomic"

// Progress counts while a copy is made. It may be read at any time.
type Progress struct {
	read   atomic.Int64
	total  atomic.Int64
	done   atomic.Int64
	copied atomic.Int64
	bytes  atomic.Int64
}

// Now returns how many revisions of the history were read, how many artifacts
// the copy has (0 while that is not known yet), how many of them are done, how
// many were copied because they were not there, and their bytes.
func (p *Progress) Now() (read, total, done, copied, bytes int64) {
	return p.read.Load(), p.total.Load(), p.done.Load(), p.copied.Load(), p.bytes.Load()
}
