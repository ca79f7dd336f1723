-- Nothing but the number, which both databases share: here events are counted by their positions.

PRAGMA user_version = 7;
