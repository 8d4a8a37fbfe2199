package packtest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// SARIF checks a log against the schema of SARIF 2.1.0 (OASIS, errata 01) in
// schemaFile, and against rules that the schema cannot express: addresses are relative
// or absolute URIs (3.4.3), a rule's index leads to its id (3.27.6), and no category is
// there twice, which upload services require.
func SARIF(schemaFile string, log []byte) error {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		return err
	}
	var raw map[string]any
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	delete(raw, "id") // draft-04 has it where draft-07 has $id
	raw["$schema"] = "http://json-schema.org/draft-07/schema#"
	if text, err = json.Marshal(raw); err != nil {
		return err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(log, &doc); err != nil {
		return err
	}
	if err := resolved.Validate(doc); err != nil {
		return err
	}
	return sarifPlaces(log)
}

func sarifPlaces(log []byte) error {
	var doc struct {
		Runs []struct {
			Automation struct{ ID string } `json:"automationDetails"`
			Tool       struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Locations []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	if err := json.Unmarshal(log, &doc); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, run := range doc.Runs {
		if id := run.Automation.ID; seen[id] {
			return fmt.Errorf("two runs are %q", id)
		}
		seen[run.Automation.ID] = true
		for _, r := range run.Results {
			if r.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
				return fmt.Errorf("result of %q has the rule %d", r.RuleID, r.RuleIndex)
			}
			for _, l := range r.Locations {
				uri := l.PhysicalLocation.ArtifactLocation.URI
				u, err := url.Parse(uri)
				if err != nil || u.String() != uri || strings.ContainsAny(uri, " \\\"<>^`{|}") || u.Scheme == "" && strings.HasPrefix(uri, "/") || strings.HasPrefix(uri, "..") {
					return fmt.Errorf("%q is no address of a file: %v", uri, err)
				}
			}
		}
	}
	return nil
}

// WantSARIF fails a test whose log does not meet the schema.
func WantSARIF(t *testing.T, schemaFile string, log []byte) {
	t.Helper()
	if err := SARIF(schemaFile, log); err != nil {
		t.Errorf("the log is not SARIF 2.1.0: %v\n%s", err, log)
	}
}
