package native

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func TestEveryProcedureOfTheSchemaHasItsRights(t *testing.T) {
	t.Parallel()
	left := make(map[string]bool)
	for name := range procedures {
		left[name] = true
	}
	for _, file := range []protoreflect.FileDescriptor{
		fluxv1.File_flux_v1_log_proto, fluxv1.File_flux_v1_tracking_proto, fluxv1.File_flux_v1_eventstore_proto,
		fluxv1.File_flux_v1_keyvalue_proto, fluxv1.File_flux_v1_schedule_proto, fluxv1.File_flux_v1_execution_proto,
		fluxv1.File_flux_v1_admin_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				name := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(j).Name())
				if procedures[name].needs == 0 {
					t.Errorf("%s needs no right", name)
				}
				delete(left, name)
			}
		}
	}
	for name := range left {
		t.Errorf("%s is not in the schema", name)
	}
}
