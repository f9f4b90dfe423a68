package flux.conformance.bank;

import flux.Error;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.tracking.handling.HandleCommand;

/** The service that moves money. What cannot be deposited goes back to where it came from. */
public final class Transfers {
    @HandleCommand
    Receipt handle(Transfer command) {
        Balance from = FluxCapacitor.sendCommandAndWait(new Withdraw(command.from(), command.amount()));
        try {
            Balance to = FluxCapacitor.sendCommandAndWait(new Deposit(command.to(), command.amount()));
            return new Receipt(from, to);
        } catch (Error e) {
            FluxCapacitor.sendCommandAndWait(new Deposit(command.from(), command.amount()));
            throw e;
        }
    }
}
