package native

import (
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/auth"
)

// procedure is what the gate must know of a procedure.
type procedure struct {
	// needs are the rights without which nobody gets in.
	needs auth.Right
	// everywhere says that the procedure shows or touches all namespaces, so that the rights must hold in all of them.
	everywhere bool
}

// procedures has every procedure of the schema; one that is missing is refused. A consumer stores its position as it reads,
// so that is part of reading; moving it anywhere else takes messages from others or gives them again, and so it is not.
var procedures = map[string]procedure{
	fluxv1connect.LogServiceAppendProcedure:       {needs: auth.Write},
	fluxv1connect.LogServiceCommitProcedure:       {needs: auth.Write},
	fluxv1connect.LogServicePublishProcedure:      {needs: auth.Write},
	fluxv1connect.LogServiceReadProcedure:         {needs: auth.Read},
	fluxv1connect.LogServiceRequestProcedure:      {needs: auth.Read | auth.Write},
	fluxv1connect.LogServiceResultsProcedure:      {needs: auth.Read},
	fluxv1connect.LogServiceListLogsProcedure:     {needs: auth.Read},
	fluxv1connect.LogServiceSetRetentionProcedure: {needs: auth.Admin},
	fluxv1connect.LogServiceTruncateProcedure:     {needs: auth.Admin},

	fluxv1connect.TrackingServiceTrackProcedure:         {needs: auth.Read},
	fluxv1connect.TrackingServicePollProcedure:          {needs: auth.Read},
	fluxv1connect.TrackingServiceDisconnectProcedure:    {needs: auth.Read},
	fluxv1connect.TrackingServiceStorePositionProcedure: {needs: auth.Read},
	fluxv1connect.TrackingServiceResetPositionProcedure: {needs: auth.Admin},
	fluxv1connect.TrackingServiceGetConsumerProcedure:   {needs: auth.Read},
	fluxv1connect.TrackingServiceListConsumersProcedure: {needs: auth.Read},

	fluxv1connect.EventStoreServiceAppendEventsProcedure:    {needs: auth.Write},
	fluxv1connect.EventStoreServiceGetEventsProcedure:       {needs: auth.Read},
	fluxv1connect.EventStoreServiceDeleteEventsProcedure:    {needs: auth.Admin},
	fluxv1connect.EventStoreServiceListAggregatesProcedure:  {needs: auth.Read},
	fluxv1connect.EventStoreServiceUpdateRelationsProcedure: {needs: auth.Write},
	fluxv1connect.EventStoreServiceRepairRelationsProcedure: {needs: auth.Write},
	fluxv1connect.EventStoreServiceGetRelationsProcedure:    {needs: auth.Read},

	fluxv1connect.KeyValueServicePutValueProcedure:    {needs: auth.Write},
	fluxv1connect.KeyValueServiceGetValuesProcedure:   {needs: auth.Read},
	fluxv1connect.KeyValueServiceReadValuesProcedure:  {needs: auth.Read},
	fluxv1connect.KeyValueServiceDeleteValueProcedure: {needs: auth.Write},
	fluxv1connect.KeyValueServiceListValuesProcedure:  {needs: auth.Read},

	fluxv1connect.ScheduleServiceScheduleProcedure:       {needs: auth.Write},
	fluxv1connect.ScheduleServiceCancelScheduleProcedure: {needs: auth.Write},
	fluxv1connect.ScheduleServiceGetScheduleProcedure:    {needs: auth.Read},
	fluxv1connect.ScheduleServiceListSchedulesProcedure:  {needs: auth.Read},

	fluxv1connect.ExecutionServiceRecordExecutionsProcedure:      {needs: auth.Write},
	fluxv1connect.ExecutionServiceGetExecutionProcedure:          {needs: auth.Read},
	fluxv1connect.ExecutionServiceListExecutionsProcedure:        {needs: auth.Read},
	fluxv1connect.ExecutionServiceGetExecutionTreeProcedure:      {needs: auth.Read},
	fluxv1connect.ExecutionServiceTailExecutionsProcedure:        {needs: auth.Read},
	fluxv1connect.ExecutionServiceDeleteExecutionsProcedure:      {needs: auth.Admin},
	fluxv1connect.ExecutionServicePinExecutionProcedure:          {needs: auth.Write},
	fluxv1connect.ExecutionServiceListIssuesProcedure:            {needs: auth.Read},
	fluxv1connect.ExecutionServiceGetIssueProcedure:              {needs: auth.Read},
	fluxv1connect.ExecutionServiceResolveIssueProcedure:          {needs: auth.Write},
	fluxv1connect.ExecutionServiceGetExecutionRetentionProcedure: {needs: auth.Read},
	fluxv1connect.ExecutionServiceSetExecutionRetentionProcedure: {needs: auth.Admin},
	fluxv1connect.ExecutionServiceAcquireLeaseProcedure:          {needs: auth.Write},
	fluxv1connect.ExecutionServiceRenewLeaseProcedure:            {needs: auth.Write},
	fluxv1connect.ExecutionServiceReleaseLeaseProcedure:          {needs: auth.Write},
	fluxv1connect.ExecutionServiceAttendProcedure:                {needs: auth.Read | auth.Write},
	fluxv1connect.ExecutionServiceAnswerCommandProcedure:         {needs: auth.Read | auth.Write},
	fluxv1connect.ExecutionServiceCommandInstanceProcedure:       {needs: auth.Read | auth.Write},
	fluxv1connect.ExecutionServiceListInstancesProcedure:         {needs: auth.Read},
	fluxv1connect.ExecutionServiceReportProcessProcedure:         {needs: auth.Write},
	fluxv1connect.ExecutionServiceListProcessesProcedure:         {needs: auth.Read},

	fluxv1connect.AdminServiceInfoProcedure:   {needs: auth.Admin, everywhere: true},
	fluxv1connect.AdminServiceBackupProcedure: {needs: auth.Admin, everywhere: true},
}

func (p procedure) allowed(g auth.Grant, c caller) bool {
	if p.everywhere {
		return g.AllowsEverywhere(p.needs)
	}
	return g.Allows(c.namespace, p.needs)
}
