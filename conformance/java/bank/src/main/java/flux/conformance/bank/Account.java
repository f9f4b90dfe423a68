package flux.conformance.bank;

import flux.Error;
import io.fluxcapacitor.javaclient.modeling.Aggregate;
import io.fluxcapacitor.javaclient.modeling.EntityId;
import io.fluxcapacitor.javaclient.persisting.eventsourcing.Apply;

/** What the events of an account have made of it. It is not cached, since services in Go change accounts too. */
@Aggregate(cached = false)
public record Account(@EntityId String account, String owner, long amount) {
    @Apply
    static Account opened(Opened event) {
        return new Account(event.account(), event.owner(), 0);
    }

    @Apply
    Account deposited(Deposited event) {
        return new Account(account, owner, amount + event.amount());
    }

    @Apply
    Account withdrawn(Withdrawn event) {
        return new Account(account, owner, amount - event.amount());
    }

    Balance balance() {
        return new Balance(account, amount);
    }

    static void checkAmount(long amount) {
        if (amount <= 0) {
            throw new Error("bank.amount", "the amount must be more than 0");
        }
    }

    void checkFunds(long wanted) {
        if (amount < wanted) {
            throw new Error("bank.no_funds", "not enough in the account");
        }
    }
}
