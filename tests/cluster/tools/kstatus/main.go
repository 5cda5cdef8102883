// kstatus says of resources what Flux makes of them: by the library of that name, or by a Kustomization's
// healthCheckExprs.
//
// In: {"resources": [...], "expressions": {"current": "...", "failed": "...", "inProgress": "..."}}, expressions if there
// are any. Out: a list of {"status": "...", "message": "..."} in the same order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	Resources   []json.RawMessage                 `json:"resources"`
	Expressions *kustomize.HealthCheckExpressions `json:"expressions"`
}

type verdict struct {
	Status  status.Status `json:"status"`
	Message string        `json:"message"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var asked question
	if err := json.NewDecoder(in).Decode(&asked); err != nil {
		return fmt.Errorf("reading the question: %w", err)
	}
	compute := status.Compute
	if asked.Expressions != nil {
		evaluator, err := cel.NewStatusEvaluator(asked.Expressions)
		if err != nil {
			return err
		}
		compute = func(resource *unstructured.Unstructured) (*status.Result, error) {
			return evaluator.Evaluate(context.Background(), resource)
		}
	}
	verdicts := make([]verdict, 0, len(asked.Resources))
	for index, document := range asked.Resources {
		// Its own decoder keeps whole numbers whole, as the library expects of a generation.
		var resource unstructured.Unstructured
		if err := resource.UnmarshalJSON(document); err != nil {
			return fmt.Errorf("resource %d: %w", index, err)
		}
		result, err := compute(&resource)
		if err != nil {
			return fmt.Errorf("resource %d: %w", index, err)
		}
		verdicts = append(verdicts, verdict{result.Status, result.Message})
	}
	return json.NewEncoder(out).Encode(verdicts)
}
