package flux;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.fluxcapacitor.javaclient.common.exception.FunctionalException;

/**
 * An error that Go and Java both understand: the Go SDK answers with messages of the type {@code flux.Error}, which is
 * the name of this class, and takes such answers for errors.
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public final class Error extends FunctionalException {
    private static final long serialVersionUID = 1L;

    private final String code;

    @JsonCreator
    public Error(@JsonProperty("code") String code, @JsonProperty("message") String message) {
        super(message);
        this.code = code;
    }

    /** What programs tell errors apart by. */
    public String getCode() {
        return code;
    }
}
