package embedded

import (
	"errors"
	"fmt"
	"os"
)

// Restoring reports whether BeginRestore was called on this data folder, and
// EndRestore was not yet: then it holds a part of something, and must not be
// taken for an empty registry.
func (s *Store) Restoring() (bool, error) {
	is, err := exists(s.fs, s.fs.PathJoin(s.folder, restoringFile))
	if err != nil {
		return false, fmt.Errorf("%s: restore's marker file: %w", s.folder, err)
	}
	return is, nil
}

// BeginRestore notes durably that a restore fills the registry from now on. It
// may be called again.
func (s *Store) BeginRestore() error {
	if is, err := s.Restoring(); err != nil || is {
		return err
	}
	if err := writeSynced(s.fs, s.folder, restoringFile, nil); err != nil {
		return fmt.Errorf("%s: restore's marker file: %w", s.folder, err)
	}
	return nil
}

// EndRestore marks the registry initialised, and then removes what BeginRestore
// noted. Both are durable when it returns, and a crash before that leaves at
// least one of the two marks. What was restored must be committed.
func (s *Store) EndRestore() error {
	if err := s.MarkInitialised(); err != nil {
		return err
	}
	err := s.fs.Remove(s.fs.PathJoin(s.folder, restoringFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(s.fs, s.folder)
	}
	if err != nil {
		return fmt.Errorf("%s: restore's marker file: %w", s.folder, err)
	}
	return nil
}
