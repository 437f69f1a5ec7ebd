// Package v2 has the names by which dashboard-linter reads dashboards of Grafana's second schema, and nothing behind
// them: the module that holds that schema cannot be had from the Go module proxy, and our dashboards are of the first.
// Whoever has one of the second linted is told so.
package v2

import "errors"

type (
	// DashboardSpec is what cannot be read here.
	DashboardSpec struct {
		Title       string
		Editable    *bool
		Elements    map[string]DashboardElement
		Variables   []DashboardVariableKind
		Annotations []DashboardAnnotationQueryKind
	}

	DashboardElement struct {
		PanelKind *struct{ Spec DashboardPanelSpec }
	}

	DashboardPanelSpec struct {
		Id                 float64
		Title, Description string
		VizConfig          struct {
			Group string
			Spec  struct{ FieldConfig, Options any }
		}
		Data struct {
			Spec struct{ Queries []DashboardPanelQueryKind }
		}
	}

	DashboardPanelQueryKind struct {
		Spec struct {
			RefId  string
			Hidden bool
			Query  DashboardDataQueryKind
		}
	}

	DashboardDataQueryKind struct {
		Group      string
		Datasource *struct{ Name *string }
		Spec       map[string]any
	}

	DashboardAnnotationQueryKind struct {
		Spec struct {
			Name  string
			Query DashboardDataQueryKind
		}
	}

	DashboardVariableRefresh string

	// DashboardVariableKind is one of several kinds of variables.
	DashboardVariableKind struct {
		QueryVariableKind                                         *struct{ Spec queryVariable }
		DatasourceVariableKind, GroupByVariableKind               *struct{ Spec variable }
		CustomVariableKind, IntervalVariableKind                  *struct{ Spec variable }
		ConstantVariableKind, TextVariableKind, AdhocVariableKind *struct{ Spec variable }
		SwitchVariableKind                                        *struct{ Spec variable }
	}

	variable struct {
		Name, Query, PluginId string
		Label, AllValue       *string
		Multi                 bool
		Refresh               DashboardVariableRefresh
	}

	queryVariable struct {
		Name            string
		Label, AllValue *string
		Multi           bool
		Refresh         DashboardVariableRefresh
		Query           DashboardDataQueryKind
	}
)

const (
	DashboardVariableRefreshOnTimeRangeChanged DashboardVariableRefresh = "onTimeRangeChanged"
	DashboardVariableRefreshOnDashboardLoad    DashboardVariableRefresh = "onDashboardLoad"
)

// UnmarshalJSON says that nothing is known of this schema.
func (*DashboardSpec) UnmarshalJSON([]byte) error {
	return errors.New("this build of dashboard-linter reads dashboards of the first schema alone")
}
