// Package flux lets services talk over durable logs: commands, queries, events and their results. It is the client of a
// Flux server; who wants the server in the same process imports package server too.
//
// # Connect
//
// An [App] is one running instance of an application. It connects to the server at [Config.URL], comes back by itself from
// lost connections, and then sends again what was not answered, which the server stores once.
//
//	app, err := flux.Connect(ctx, flux.Config{Name: "shop"})
//	defer app.Close(ctx)
//
// # Messages
//
// Payloads are Go values that are encoded as JSON. A type is known to others by its package and name, "shop.OrderPlaced",
// or by what [Named] says. Messages with equal routing keys are handled in order; the key is the field that says so:
//
//	type PlaceOrder struct {
//		flux.Command[OrderID]                           // a command with a result of type OrderID
//		Order    string `json:"order" flux:"routing"`   // same order, same segment, one after the other
//		Items    []Item `json:"items"`
//	}
//
//	type GetOrders struct {
//		flux.Query[[]Order]                             // a query with a result of type []Order
//		Status string `json:"status"`
//	}
//
//	type OrderShipped struct {                          // an event is any struct
//		Order string `json:"order" flux:"routing"`
//	}
//
// # Publish and ask
//
//	id, err := flux.Ask(ctx, app, PlaceOrder{…})        // id is an OrderID
//	err = flux.Send(ctx, app, PlaceOrder{…})            // its answer does not matter
//	err = flux.Publish(ctx, app, OrderShipped{…})
//
// They return when the message is on the disk of the server, [Ask] when the answer is there. [PublishTo] and [AskTo] take
// any log and [PublishOptions]. [App.Append] and [Publisher] take messages as they are; a Publisher is the way to publish
// millions.
//
// # Handle
//
// Handlers are plain functions. They are registered before [App.Run], which gives them messages until its context ends and
// then finishes the batch in hand.
//
//	flux.HandleCommand(app, s.placeOrder)               // func(context.Context, PlaceOrder) (OrderID, error)
//	flux.HandleQuery(app, s.orders)                     // func(context.Context, GetOrders) ([]Order, error)
//	flux.HandleEvent(app.Consumer("reports", flux.Consumer{From: flux.Beginning, Trackers: 4}), r.orderShipped)
//	err = app.Run(ctx)
//
// A consumer is a named reader that remembers how far it has come. All instances of an application share its work by
// segments: start more of them, and each gets less to do. Handlers registered with the App itself belong to its default
// consumers; those of [App.Consumer] read at their own pace, from where they want.
//
// A handler learns from its context which message it handles, see [Current]. What it publishes with that context is
// correlated with the message: $correlationId says what caused it, $traceId where it all began.
//
// # Errors
//
// An error that a handler returns comes back from [Ask] as an [Error] with its code, so that [errors.Is] works across
// services. [ErrorPolicy] says whether a consumer tries again, goes on, or stops; [Retryable] tells which errors are worth
// another try.
//
// # Recorded executions
//
// With a [Config.Recorder] each call of a handler is an execution: what caused it, what it asked for, and the messages it made,
// so that a failure in one service leads to its cause in another. Messages carry $executionId, the execution that published
// them. [ReplayMessage] runs a handler again from the record, without a server.
//
//	rec, err := execution.Connect(execution.Config{Service: "shop"})
//	app, err := flux.Connect(ctx, flux.Config{Name: "shop", Recorder: rec})
//
// # Guarantees
//
//   - Published means on disk. A message that was answered survives any crash of the server; one that was not is either
//     wholly there or not at all, and is sent again until it is answered, without being stored twice.
//   - Messages of a log that one goroutine publishes are stored in that order.
//   - Messages with equal routing keys are handled in the order of their log, one at a time.
//   - Each message is handled at least once: the position of a consumer passes it only after its handler has returned and
//     what that published is on disk. A consumer that is [Consumer.Atomic] has its effect in Flux exactly once.
package flux
