CREATE TABLE endpoints (id integer PRIMARY KEY, url text NOT NULL, secret text NOT NULL);

CREATE TABLE attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL,
    endpoint_id integer NOT NULL,
    number integer NOT NULL,
    status integer,
    error text,
    answer text,
    duration_ms double precision NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX attempts_of_a_message ON attempts (message_id);

-- For the variant that keeps what a customer is shown as rows, too.
CREATE TABLE messages (
    id text PRIMARY KEY,
    type text NOT NULL,
    body text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE deliveries (
    message_id text NOT NULL,
    endpoint_id integer NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, endpoint_id)
);
