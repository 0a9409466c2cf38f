"""Where deliveries go and where events come from: as lean as possible, so that the measuring is not what is measured."""
