package flux.conformance;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks a method as a scenario. It takes the world of the suite and, where {@link #each} is given, one text. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
public @interface Scenario {
    /** What holds when the scenario passes. {@code %s} stands for the element of {@link #each}. */
    String value();

    /** The scenario runs once for each. Empty: once. */
    String[] each() default {};

    /** The scenario gets a server of its own, which it may stop, kill and start again. */
    boolean ownServer() default false;

    /** Why the library's own test server is not asked. Empty: it is, and must pass as well. */
    String notOnReference() default "";

    /** Seconds after which the scenario has failed. */
    int seconds() default 60;
}
