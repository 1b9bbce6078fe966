package main

import "github.com/spf13/cobra"

// clientCommands are those that talk to a server, or to nobody.
func clientCommands(p process) []*cobra.Command {
	return []*cobra.Command{
		newApplyCommand(p),
		newGetCommand(p),
		newDeleteCommand(p),
		newDiffCommand(p),
		newHistoryCommand(p),
		newRevisionsCommand(p),
		newRollbackCommand(p),
		newWatchCommand(p),
		newNamespacesCommand(p),
		newRetentionCommand(p),
		newGCCommand(p),
		newFsckCommand(p),
		newFluxCommand(p),
		newVersionCommand(p),
		newCompletionCommand(p),
	}
}
