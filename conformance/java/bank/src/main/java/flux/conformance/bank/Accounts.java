package flux.conformance.bank;

import flux.Error;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.modeling.Entity;
import io.fluxcapacitor.javaclient.tracking.handling.HandleCommand;
import io.fluxcapacitor.javaclient.tracking.handling.HandleQuery;

/** The service that knows what is in each account. Changes are committed before they are answered. */
public final class Accounts {
    @HandleCommand
    Balance handle(Open command) {
        Entity<Account> account = FluxCapacitor.loadAggregate(command.account(), Account.class);
        if (account.isPresent()) {
            throw new Error("bank.exists", "the account is open already");
        }
        return apply(account, new Opened(command.account(), command.owner()));
    }

    @HandleCommand
    Balance handle(Deposit command) {
        Entity<Account> account = existing(command.account());
        Account.checkAmount(command.amount());
        return apply(account, new Deposited(command.account(), command.amount()));
    }

    @HandleCommand
    Balance handle(Withdraw command) {
        Entity<Account> account = existing(command.account());
        Account.checkAmount(command.amount());
        account.get().checkFunds(command.amount());
        return apply(account, new Withdrawn(command.account(), command.amount()));
    }

    @HandleQuery
    Balance handle(GetBalance query) {
        return existing(query.account()).get().balance();
    }

    private static Entity<Account> existing(String id) {
        Entity<Account> account = FluxCapacitor.loadAggregate(id, Account.class);
        if (account.isEmpty()) {
            throw new Error("bank.no_account", "no such account");
        }
        return account;
    }

    private static Balance apply(Entity<Account> account, Object event) {
        return account.apply(event).commit().get().balance();
    }
}
