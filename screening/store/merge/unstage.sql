-- The room is needed no more, but what was refused is asked for once again.
DROP TABLE IF EXISTS incoming;
DROP TABLE IF EXISTS repeated;
DROP TABLE IF EXISTS fresh;
DROP TABLE IF EXISTS moved;
DROP TABLE IF EXISTS crowded;
DROP TABLE IF EXISTS several;
DROP TABLE IF EXISTS current_result;
DROP TABLE IF EXISTS incoming_fact;
DROP TABLE IF EXISTS current_fact;
