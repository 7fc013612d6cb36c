"""The controllers of JobSchedules and JobSensors."""
