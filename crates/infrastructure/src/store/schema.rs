//! The tables as Diesel sees them; the truth is in `migrations/`.

diesel::table! {
    /// Facts about the store itself.
    meta (key) {
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    /// Registered repositories.
    projects (name) {
        name -> Text,
        path -> Text,
        common_dir -> Text,
        branch -> Text,
        created_at -> BigInt,
        machine_id -> Nullable<Text>,
        machine_host -> Nullable<Text>,
        remote -> Nullable<Text>,
        push_snapshots -> Bool,
    }
}

diesel::table! {
    /// Registered actions, as text.
    actions (name) {
        name -> Text,
        source -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Plans: a column for each fact.
    plans (id) {
        id -> Text,
        name -> Nullable<Text>,
        action -> Text,
        automation -> Text,
        parent -> Nullable<Text>,
        phase -> Text,
        state -> Text,
        attempt -> BigInt,
        version -> BigInt,
        token -> Nullable<BigInt>,
        reversion_count -> BigInt,
        attempt_started_at -> Nullable<BigInt>,
        attempt_commanded -> Nullable<Bool>,
        driver_host -> Nullable<Text>,
        driver_boot_id -> Nullable<Text>,
        driver_pid_namespace -> Nullable<Text>,
        driver_pid -> Nullable<BigInt>,
        driver_started -> Nullable<BigInt>,
        driver_user -> Nullable<Text>,
        driver_operation -> Nullable<Text>,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        error_hint -> Nullable<Text>,
        error_retryable -> Nullable<Bool>,
        parked_until -> Nullable<BigInt>,
        parked_input -> Nullable<Text>,
        parked_cause -> Nullable<Text>,
        strategy -> Nullable<Text>,
        validations -> Text,
        cancel_reason -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// How many plans there are of each kind.
    plan_counts (action, phase, state, subplan) {
        action -> Text,
        phase -> Text,
        state -> Text,
        subplan -> Bool,
        plans -> BigInt,
    }
}

diesel::table! {
    /// What plans were ordered to do.
    plan_definitions (plan_id) {
        plan_id -> Text,
        action_source -> Text,
        arguments -> Text,
        definition_of_done -> Nullable<Text>,
    }
}

diesel::table! {
    /// What plans that are parts of others are besides.
    subplans (plan_id) {
        plan_id -> Text,
        parent -> Text,
        root -> Text,
        depth -> BigInt,
        position -> BigInt,
        name -> Text,
        depends_on -> Text,
        failures -> BigInt,
        given_up_kind -> Nullable<Text>,
        given_up_by -> Nullable<Text>,
        current -> Bool,
    }
}

diesel::table! {
    /// The projects of plans.
    plan_projects (plan_id, position) {
        plan_id -> Text,
        position -> BigInt,
        project -> Text,
        path -> Text,
        common_dir -> Text,
        branch -> Text,
        base -> Nullable<Text>,
        tip -> Nullable<Text>,
        intent_id -> Nullable<Text>,
        landing_ref -> Nullable<Text>,
        landing_old -> Nullable<Text>,
        landing_new -> Nullable<Text>,
        landed -> Bool,
        snapshot -> Nullable<Text>,
        resume -> Nullable<Text>,
        machine_id -> Nullable<Text>,
        machine_host -> Nullable<Text>,
        remote -> Nullable<Text>,
        push_snapshots -> Bool,
    }
}

diesel::table! {
    /// What people added for the next attempt.
    plan_guidance (plan_id, position) {
        plan_id -> Text,
        position -> BigInt,
        text -> Text,
    }
}

diesel::table! {
    /// The logs of plans.
    events (plan_id, seq) {
        plan_id -> Text,
        seq -> BigInt,
        event_id -> Text,
        kind -> Text,
        at -> BigInt,
        owner_id -> Nullable<Text>,
        token -> Nullable<BigInt>,
        schema_version -> BigInt,
        payload -> Text,
    }
}

diesel::table! {
    /// One row for each plan and project.
    locks (resource_type, resource_id) {
        resource_type -> Text,
        resource_id -> Text,
        owner_id -> Nullable<Text>,
        token -> BigInt,
        acquired_at -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        boot_id -> Nullable<Text>,
        expires_boottime_ms -> Nullable<BigInt>,
        operation -> Nullable<Text>,
        host -> Nullable<Text>,
        holder_boot_id -> Nullable<Text>,
        pid_namespace -> Nullable<Text>,
        pid -> Nullable<BigInt>,
        started -> Nullable<BigInt>,
        user -> Nullable<Text>,
    }
}

diesel::table! {
    /// What others ask of the holders of locks, and what was done to locks by force.
    requests (id) {
        id -> Text,
        resource_type -> Text,
        resource_id -> Text,
        kind -> Text,
        token -> Nullable<BigInt>,
        keep_landed -> Bool,
        reason -> Nullable<Text>,
        host -> Text,
        pid -> BigInt,
        user -> Text,
        made_at -> BigInt,
        closed_at -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    /// Who waits for locks, in the order of the numbers.
    tickets (number) {
        number -> BigInt,
        owner_id -> Text,
        since -> BigInt,
        boot_id -> Text,
        expires_boottime_ms -> BigInt,
        operation -> Text,
        host -> Text,
        holder_boot_id -> Text,
        pid_namespace -> Text,
        pid -> BigInt,
        started -> BigInt,
        user -> Text,
    }
}

diesel::table! {
    /// What each of them waits for.
    ticket_keys (resource_type, resource_id, number) {
        resource_type -> Text,
        resource_id -> Text,
        number -> BigInt,
    }
}

diesel::table! {
    /// Who takes up orders.
    workers (id) {
        id -> Text,
        operation -> Text,
        host -> Text,
        boot_id -> Text,
        pid_namespace -> Text,
        pid -> BigInt,
        started -> BigInt,
        user -> Text,
        since -> BigInt,
        seen_at -> BigInt,
        concurrency -> BigInt,
        draining -> Bool,
        lost_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// What workers are to do: at most one order for each plan.
    orders (plan_id) {
        plan_id -> Text,
        goal -> Text,
        allow_empty -> Bool,
        again -> Nullable<Text>,
        plan_version -> BigInt,
        host -> Text,
        pid -> BigInt,
        user -> Text,
        ordered_at -> BigInt,
        revision -> BigInt,
        ready_at -> BigInt,
        not_before -> Nullable<BigInt>,
        troubles -> BigInt,
        trouble -> Nullable<Text>,
        worker -> Nullable<Text>,
        claimed_at -> Nullable<BigInt>,
        closed_at -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(plans, plan_projects, plan_guidance, subplans, locks);
diesel::allow_tables_to_appear_in_same_query!(locks, ticket_keys);
diesel::allow_tables_to_appear_in_same_query!(plans, orders);
diesel::allow_tables_to_appear_in_same_query!(orders, plan_projects);
