package trial

import (
	"encoding/json"
	"io"
)

// WriteSARIF writes the reasons for the verdict as SARIF 2.1.0, for tools that collect
// findings.
func (r *Report) WriteSARIF(w io.Writer) error {
	type object = map[string]any
	text := func(s string) object { return object{"text": s} }
	level := map[Level]string{Red: "error", Amber: "warning", Green: "note"}
	rules, results, index := []object{}, []object{}, map[string]int{}
	for _, one := range r.Verdict.Reasons {
		if _, ok := index[one.Code]; !ok {
			index[one.Code] = len(rules)
			rules = append(rules, object{"id": "try/" + one.Code, "shortDescription": text(one.Code), "properties": object{"tags": []string{"security"}}})
		}
		say := one.Text
		if one.When != "" {
			say += ", " + one.When
		}
		results = append(results, object{"ruleId": "try/" + one.Code, "ruleIndex": index[one.Code], "level": level[one.Level], "message": text(say),
			"locations":           []object{{"logicalLocations": []object{{"fullyQualifiedName": r.Subject.Name, "kind": "package"}}}},
			"partialFingerprints": object{"try/v1": r.Subject.Name + "|" + one.Code + "|" + one.Text}})
	}
	run := object{"tool": object{"driver": object{"name": "mcpen", "version": r.Mcpen, "rules": rules}}, "results": results,
		"automationDetails": object{"id": "try/" + r.Subject.Name + "/"}}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(object{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": []object{run}})
}
