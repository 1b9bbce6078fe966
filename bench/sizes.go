package main

// sizes say how much of everything is measured.
type sizes struct {
	name   string
	rounds int // of everything that is measured in turn
	points int // rounds of each point of a plot

	creates int // new resources of a round, into one namespace
	full    int // resources in a namespace that is as full as it may be
	updates int // of those, in a round
	writes  int // of one client, in a round
	settled int // resources in the namespace of that client

	namespaces  int   // over which the resources of the growth rows are spread
	few         int   // resources in all of them together
	steps       []int // resources in all of them, before what is measured; the last counts
	grown       int   // creates of a round
	revisionSet int   // resources in the namespace that gets the revisions
	oldFew      int   // revisions
	oldSteps    []int // revisions, before what is measured; the last counts
	oldGrown    int   // creates of a round in that namespace
	historyPage int   // versions on a page of a history
	travels     int   // reads of a past moment in a round
	copied      int   // revisions of the namespace that is backed up
	latest      int   // reads of a catalog's latest in a round

	gets, lists int // reads of a round
	settle      int // seconds after the load, before memory is read
}

// chosen returns the sizes of a name, for a registry that takes thousands of
// artifacts a second (fast) or about a hundred.
func chosen(name string, fast bool) (sizes, bool) {
	s, ok := map[string]sizes{
		"full": {
			rounds: 7, points: 3, creates: 900, full: 1000, updates: 1000, writes: 300, settled: 100,
			namespaces: 10, few: 100, steps: []int{1000, 2500, 5000, 7500, 9500}, grown: 500,
			revisionSet: 10, oldFew: 100, oldSteps: []int{2500, 5000, 10000, 15000, 20000}, oldGrown: 500, latest: 5000, historyPage: 50, travels: 20, copied: 60,
			gets: 20000, lists: 500, settle: 5,
		},
		"quick": {
			rounds: 5, points: 1, creates: 900, full: 1000, updates: 1000, writes: 100, settled: 100,
			namespaces: 10, few: 100, steps: []int{9500}, grown: 500,
			revisionSet: 10, oldFew: 100, oldSteps: []int{2000}, oldGrown: 500, latest: 3000, historyPage: 20, travels: 10, copied: 30,
			gets: 5000, lists: 100, settle: 3,
		},
		"smoke": {
			rounds: 1, points: 1, creates: 8, full: 20, updates: 8, writes: 3, settled: 5,
			namespaces: 2, few: 4, steps: []int{8, 16}, grown: 4,
			revisionSet: 2, oldFew: 3, oldSteps: []int{5, 10}, oldGrown: 4, latest: 5, historyPage: 2, travels: 2, copied: 8,
			gets: 8, lists: 4, settle: 0,
		},
	}[name]
	s.name = name
	if fast || name == "smoke" {
		return s, ok
	}
	s.rounds, s.points = 3, 1
	s.creates, s.updates, s.writes = 200, 200, 30
	s.steps, s.grown = []int{400, 900, 1800}, 200
	s.oldSteps, s.oldGrown, s.latest = []int{250, 500, 1000}, 100, 1000
	s.historyPage = 20
	if name == "quick" {
		s.historyPage = 10
		s.rounds, s.creates, s.updates, s.writes = 2, 150, 150, 15
		s.steps, s.grown, s.oldSteps = []int{900}, 100, []int{300}
	}
	return s, ok
}

// The numbers of callers.
const (
	pushers = 16 // of raw pushes
	callers = 32 // of the product
	copiers = 4  // of oras, each a process
)
