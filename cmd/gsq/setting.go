package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// setting is one thing that can be configured: by a flag, by the environment
// variable GSQ_<FLAG>, or by the same key of a configuration file. The first of
// these that has it counts.
type setting struct {
	name     string             // of the flag and of the key
	contract string             // another variable's name, which ranks below GSQ_<FLAG>; may be empty
	usage    string             // of the flag
	check    func(string) error // may be nil

	value  string // set to the default before, and to what counts after resolve
	source source
}

// source is where a value came from.
type source int

const (
	fromDefault source = iota
	fromFile
	fromContract
	fromEnvironment
	fromFlag
)

// variable is the name of the setting's environment variable.
func (s *setting) variable() string {
	return "GSQ_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// origin names what the value came from, for messages.
func (s *setting) origin(file string) string {
	switch s.source {
	case fromFlag:
		return "--" + s.name
	case fromEnvironment:
		return s.variable()
	case fromContract:
		return s.contract
	case fromFile:
		return file + ": " + s.name
	}
	return "the default of --" + s.name
}

// settings are those of one command, and its configuration file.
type settings struct {
	list []*setting
	file string // the flag --config
}

// addFlags adds a flag for each setting, and --config.
func (c *settings) addFlags(flags *pflag.FlagSet) {
	for _, s := range c.list {
		variables := s.variable()
		if s.contract != "" {
			variables += ", " + s.contract
		}
		flags.StringVar(&s.value, s.name, s.value, fmt.Sprintf("%s (env %s)", s.usage, variables))
	}
	flags.StringVar(&c.file, "config", "", "YAML file whose keys are the names of these flags (env GSQ_CONFIG)")
}

// resolve finds the value of each setting, once the flags are parsed. It
// returns what the operator should know. The error is of usage, and lists
// everything that is wrong.
func (c *settings) resolve(flags *pflag.FlagSet, p process) (warnings []string, err error) {
	faults := unknownVariables(p.Environ)
	if !flags.Changed("config") {
		c.file = p.setting("GSQ_CONFIG", "")
	}
	var inFile map[string]string
	if c.file != "" {
		found, problems := readConfig(c.file)
		inFile = found
		faults = append(faults, problems...)
	}
	for _, s := range c.list {
		warnings = append(warnings, s.choose(flags, p, inFile)...)
		if s.check == nil {
			continue
		}
		if err := s.check(s.value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.origin(c.file), err))
		}
	}
	if len(faults) > 0 {
		return nil, usagef("%w", errors.Join(faults...))
	}
	return warnings, nil
}

// choose sets the value by precedence: flag, environment, file, default.
func (s *setting) choose(flags *pflag.FlagSet, p process, inFile map[string]string) (warnings []string) {
	own := p.setting(s.variable(), "")
	contract := ""
	if s.contract != "" {
		contract = p.setting(s.contract, "")
	}
	if own != "" && contract != "" && own != contract {
		warnings = append(warnings, fmt.Sprintf("%s is %q and %s is %q; %s is passed over", s.variable(), own, s.contract, contract, s.contract))
	}
	fileValue, filed := inFile[s.name]
	switch {
	case flags.Changed(s.name):
		s.source = fromFlag
	case own != "":
		s.value, s.source = own, fromEnvironment
	case contract != "":
		s.value, s.source = contract, fromContract
	case filed:
		s.value, s.source = fileValue, fromFile
	}
	return warnings
}
