-- The room is needed no more.
DROP TABLE IF EXISTS incoming;
DROP TABLE IF EXISTS incoming_reject;
DROP TABLE IF EXISTS repeated;
DROP TABLE IF EXISTS fresh;
DROP TABLE IF EXISTS moved;
DROP TABLE IF EXISTS crowded;
DROP TABLE IF EXISTS several;
DROP TABLE IF EXISTS current_result;
