// Reads manifests with the types of those who will read them, and names every field that they do not know: the
// resources of the Prometheus operator, and the file of Docker Compose. Both ignore such fields in silence otherwise.
//
//	manifests operator < manifests.yaml
//	manifests compose compose.yaml
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
	kubernetes "sigs.k8s.io/yaml"
)

func main() {
	err := errors.New("usage: manifests operator < manifests.yaml | manifests compose compose.yaml")
	switch {
	case len(os.Args) == 2 && os.Args[1] == "operator":
		err = operator(os.Stdin)
	case len(os.Args) == 3 && os.Args[1] == "compose":
		err = compose(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// operator prints one line for each document of a stream, and fails at the first that is not the operator's or that has
// a field which its type lacks.
func operator(stream io.Reader) error {
	documents := yaml.NewDecoder(stream)
	for count := 0; ; count++ {
		var document map[string]any
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			if count == 0 {
				return errors.New("no document")
			}
			return nil
		} else if err != nil {
			return err
		}
		text, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		kind, _ := document["kind"].(string)
		if version := document["apiVersion"]; version != "monitoring.coreos.com/v1" {
			return fmt.Errorf("%s: apiVersion %v", kind, version)
		}
		resource, known := map[string]any{
			monitoring.PodMonitorsKind:     &monitoring.PodMonitor{},
			monitoring.ServiceMonitorsKind: &monitoring.ServiceMonitor{},
			monitoring.PrometheusRuleKind:  &monitoring.PrometheusRule{},
		}[kind]
		if !known {
			return fmt.Errorf("unknown kind %q", kind)
		}
		if err := kubernetes.UnmarshalStrict(text, resource); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
}

// compose loads a file as `docker compose config` does, schema and interpolation included.
func compose(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if bytes.Contains(text, []byte("\nversion:")) {
		return fmt.Errorf("%s: version is obsolete", path)
	}
	options, err := cli.NewProjectOptions([]string{path}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	printed, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(printed)
	return err
}
