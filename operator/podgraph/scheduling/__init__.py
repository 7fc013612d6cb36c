"""When Jobs are made, and which: schedules and sensors as pure logic, without I/O and without a clock."""
